package main

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"outboxd/acme"
)

//go:embed templates/jobs.yaml
var jobsTemplate string

// writeConfig writes the daemon's jobs.yaml into the folder, with the files that it refers to, and returns its path.
func writeConfig(folder string, database *net.TCPAddr, smtpPort int, smtpCA []byte) (string, error) {
	t, err := template.New("jobs.yaml").Parse(jobsTemplate)
	if err != nil {
		return "", fmt.Errorf("write jobs.yaml: %w", err)
	}
	var text strings.Builder
	if err := t.Execute(&text, map[string]int{"DatabasePort": database.Port, "SMTPPort": smtpPort}); err != nil {
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
	// The example company's templates and documents.
	if err := os.CopyFS(folder, acme.Files); err != nil {
		return "", fmt.Errorf("write the configuration: %w", err)
	}
	return path, nil
}
