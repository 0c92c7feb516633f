package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"
)

const lookEvery = 25 * time.Millisecond

const unindexedTables = `SELECT name FROM sqlite_master AS found WHERE type = 'table' AND name NOT LIKE '\_%' ESCAPE '\'
	AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND NOT EXISTS
	(SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = found.name || '_by_id')`

// keepIndexed gives every collection an index that finds documents by _id, as a MongoDB server has one.
//
// FerretDB 1.24 reads the whole collection instead: the index that it makes is on _ferretdb_sjson->"_id", its queries
// ask for _ferretdb_sjson->'$._id', and SQLite does not know that they are the same.
func keepIndexed(ctx context.Context, folder string) {
	written := map[string]time.Time{}
	for ctx.Err() == nil {
		files, _ := filepath.Glob(filepath.Join(folder, "*.sqlite"))
		for _, file := range files {
			log, err := os.Stat(file + "-wal")
			if err != nil || log.ModTime().Equal(written[file]) {
				continue
			}
			if err = index(ctx, file); err != nil {
				slog.Warn("not indexed", "file", file, "error", err)
				continue
			}
			written[file] = log.ModTime()
		}
		time.Sleep(lookEvery)
	}
}

func index(ctx context.Context, file string) error {
	database, err := sql.Open("sqlite", "file:"+file+"?mode=rw&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer database.Close()
	rows, err := database.QueryContext(ctx, unindexedTables)
	if err != nil {
		return err
	}
	var tables []string
	for rows.Next() {
		var table string
		if err = rows.Scan(&table); err != nil {
			return err
		}
		tables = append(tables, table)
	}
	if err = rows.Close(); err != nil {
		return err
	}
	for _, table := range tables {
		statement := fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "%[1]s_by_id" ON "%[1]s" (_ferretdb_sjson->'$._id')`, table)
		if _, err = database.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
