package main

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"outboxd/acme"
)

//go:embed templates/jobs.yaml
var jobsTemplate string

// writeConfig writes the daemon's jobs.yaml into the folder, with the files that it refers to, and returns its path. Its schedules fire at
// a full minute.
func writeConfig(folder string, database *net.TCPAddr, smtpPort int, smtpCA []byte, fires time.Time) (string, error) {
	t, err := template.New("jobs.yaml").Parse(jobsTemplate)
	if err != nil {
		return "", fmt.Errorf("write jobs.yaml: %w", err)
	}
	var text strings.Builder
	if err := t.Execute(&text, map[string]any{"DatabasePort": database.Port, "SMTPPort": smtpPort, "Cron": fmt.Sprintf("%d %d * * *", fires.UTC().Minute(), fires.UTC().Hour())}); err != nil {
		return "", fmt.Errorf("write jobs.yaml: %w", err)
	}
	path := filepath.Join(folder, "jobs.yaml")
	for name, content := range map[string][]byte{
		path:                                   []byte(text.String()),
		filepath.Join(folder, "smtp-ca.pem"):   smtpCA,
		filepath.Join(folder, "smtp-password"): []byte(smtpPassword + "\n"),
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return "", fmt.Errorf("write the configuration: %w", err)
		}
	}
	// The example company's templates and documents, unless they are there.
	if _, err := os.Stat(filepath.Join(folder, "templates")); err == nil {
		return path, nil
	}
	if err := os.CopyFS(folder, acme.Files); err != nil {
		return "", fmt.Errorf("write the configuration: %w", err)
	}
	return path, nil
}
