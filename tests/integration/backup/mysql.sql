-- Data with the corners that break dumps: odd names, all kinds of objects, bodies that look like headings of a dump.
CREATE TABLE `odd ``name` (
  id INT AUTO_INCREMENT PRIMARY KEY, t TEXT CHARACTER SET utf8mb4, b BLOB, d DECIMAL(20,5), f DOUBLE, w DATETIME(6));
INSERT INTO `odd ``name` (t, b, d, f, w) VALUES
  ('line\nbreak, tab\t and ''quote'' \\ back', 0x00ff0a0d27, 123456789012345.12345, 0.1, '2026-01-02 03:04:05.678901'),
  ('INSERT INTO `x` VALUES (1);', NULL, NULL, 1e300, NULL), ('ünï 🐚', '', 0, -0.0, '1000-01-01 00:00:00');
CREATE TABLE plain (v INT, w VARCHAR(50));
INSERT INTO plain VALUES (3, 'c'), (1, 'a'), (2, NULL), (1, 'a');
CREATE TABLE parent (id INT PRIMARY KEY, n VARCHAR(20), g INT GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id));
INSERT INTO parent (id, n) VALUES (1, 'one'), (2, 'two');
INSERT INTO child VALUES (1, 1), (2, 2);
CREATE TABLE old_kind (v INT) ENGINE = MyISAM;
INSERT INTO old_kind VALUES (1);
CREATE VIEW b_view AS SELECT id, n FROM parent;
CREATE VIEW a_view AS SELECT n FROM b_view;
DELIMITER ;;
CREATE TRIGGER filled BEFORE INSERT ON child FOR EACH ROW BEGIN
-- Dumping data for table `plain`
INSERT INTO plain VALUES (NEW.id, 'trigger');
END;;
CREATE PROCEDURE proc() BEGIN
INSERT INTO plain VALUES (9, 'proc');
END;;
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2;;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM plain WHERE v = 77;;
DELIMITER ;
CREATE DATABASE second CHARACTER SET latin1;
CREATE TABLE second.t (v INT PRIMARY KEY);
INSERT INTO second.t VALUES (1), (2);
CREATE VIEW second.across AS SELECT id FROM coin.parent;
CREATE VIEW across AS SELECT v FROM second.t;
CREATE USER reader@'10.%' IDENTIFIED BY 'pä''ss\\word';
GRANT SELECT (id, n) ON coin.parent TO reader@'10.%';
GRANT EXECUTE ON PROCEDURE coin.proc TO reader@'10.%' WITH GRANT OPTION;
CREATE ROLE staff;
GRANT SELECT ON second.* TO staff;
GRANT staff TO reader@'10.%';
