package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/sirupsen/logrus"
)

// database is a MySQL-compatible server in this process. It keeps everything in memory and lets everybody in without a
// password, from this computer only.
type database struct {
	address *net.TCPAddr
	server  *server.Server
}

// startDatabase serves on a free port of 127.0.0.1. What the server has to say goes to notes.
func startDatabase(notes io.Writer) (*database, error) {
	log.SetOutput(notes)
	logrus.SetOutput(notes)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the database: %w", err)
	}
	databases := memory.NewDBProvider()
	s, err := server.NewServerWithHandler(server.Config{Listener: listener}, sqle.NewDefault(provider{databases}),
		sql.NewContext, sessions(databases), nil, oneAtATime)
	if err != nil {
		return nil, fmt.Errorf("start the database: %w", err)
	}
	go s.Listener.Accept() // until close
	return &database{address: listener.Addr().(*net.TCPAddr), server: s}, nil
}

// close ends the server. The connections' own ends come later and are not worth a note.
func (d *database) close() error {
	log.SetOutput(io.Discard)
	logrus.SetOutput(io.Discard)
	return d.server.Close()
}

// sessions makes sessions as they would be on a MySQL server in UTC. The server keeps times as the session sees them, so
// all have to see the same ones; and it reads views only where some database is the current one.
func sessions(databases *memory.DbProvider) server.SessionBuilder {
	build := memory.NewSessionBuilder(databases)
	return func(ctx context.Context, conn *mysql.Conn, address string) (sql.Session, error) {
		s, err := build(ctx, conn, address)
		if err != nil {
			return nil, err
		}
		s.SetCurrentDatabase("information_schema")
		return s, s.SetSessionVariable(sql.NewContext(ctx, sql.WithSession(s)), "time_zone", "+00:00")
	}
}
