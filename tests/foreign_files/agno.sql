BEGIN TRANSACTION;
CREATE TABLE agno_memories (
	memory_id VARCHAR NOT NULL, 
	memory JSON NOT NULL, 
	input VARCHAR, 
	agent_id VARCHAR, 
	team_id VARCHAR, 
	user_id VARCHAR, 
	topics JSON, 
	feedback VARCHAR, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT, 
	PRIMARY KEY (memory_id)
);
INSERT INTO "agno_memories" VALUES('m-1','"Lives in Boston"','I live in Boston','support',NULL,'sarah@example.com','["home"]',NULL,1700000000,1700000000);
INSERT INTO "agno_memories" VALUES('m-2','"The user''s name is Sarah \ud83d\ude00, called \"Sari\""',NULL,NULL,'crew','sarah@example.com','["name", "family"]','good',1700000100,1700000100);
INSERT INTO "agno_memories" VALUES('m-3','"Lives in Berlin"',NULL,NULL,NULL,'sarah@example.com','null',NULL,1710000000,1710000000);
INSERT INTO "agno_memories" VALUES('m-4','"Plays chess"',NULL,NULL,NULL,'ben','null',NULL,1700000000,1700000000);
CREATE TABLE agno_schema_versions (
	table_name VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	created_at VARCHAR NOT NULL, 
	updated_at VARCHAR, 
	PRIMARY KEY (table_name)
);
INSERT INTO "agno_schema_versions" VALUES('agno_memories','3.0.0','2026-11-29T09:23:26.235948','2026-11-29T09:23:26.235948');
CREATE INDEX idx_agno_memories_user_id ON agno_memories (user_id);
CREATE INDEX idx_agno_memories_created_at ON agno_memories (created_at);
CREATE INDEX idx_agno_memories_updated_at ON agno_memories (updated_at);
CREATE INDEX idx_agno_schema_versions_created_at ON agno_schema_versions (created_at);
COMMIT;
