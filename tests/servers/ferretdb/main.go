// Command ferretdb serves MongoDB's wire protocol on SQLite files, for the tests.
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	address := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	folder := flag.String("dir", "", "folder of the SQLite files, which must exist")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: *address},
		Handler:   "sqlite",
		SQLiteURL: "file:" + *folder + "/",
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		slog.Error("cannot start", "error", err)
		os.Exit(1)
	}
	go keepIndexed(ctx, *folder)
	if err = server.Run(ctx); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}
