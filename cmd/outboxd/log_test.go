package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestLogLines(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, false)
	for range 200 { // more than a sampling logger lets through
		log.Info("sent", zap.String("reason", "a\nb"))
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 200 {
		t.Fatalf("%d lines", len(lines))
	}
	var line map[string]string
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || line["event"] != "sent" || line["level"] != "info" || line["time"] == "" || line["reason"] != "a\nb" {
		t.Errorf("%s, %v", lines[0], err)
	}
}

func TestLogForTheJournal(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, true).With(zap.String("company", "acme"))
	log.Debug("session_close")
	log.Info("sent")
	log.Warn("deferred")
	log.Error("failed")
	want := `<6>{"level":"info","event":"sent","company":"acme"}
<4>{"level":"warn","event":"deferred","company":"acme"}
<3>{"level":"error","event":"failed","company":"acme"}
`
	if out.String() != want {
		t.Errorf("%s, want %s", out.String(), want)
	}
	for l, want := range map[zapcore.Level]string{zapcore.DebugLevel: "<7>", zapcore.FatalLevel: "<2>"} {
		if got := priority(l); got != want {
			t.Errorf("%s: %s", l, got)
		}
	}
}

func TestToJournal(t *testing.T) {
	if toJournal("8:1", &bytes.Buffer{}) || toJournal("", os.Stderr) {
		t.Error("no file leads to no journal")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if toJournal("0:0", f) {
		t.Error("another file is not the journal")
	}
	if runtime.GOOS != "linux" {
		return // there is no journal elsewhere
	}
	if !toJournal(inode(t, f), f) {
		t.Error("the journal was not recognised")
	}
}
