package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"outboxd/mail/page"
)

// command inserts a mail with a stock client, in any shell.
func command(port int) string {
	return fmt.Sprintf(`mariadb -h 127.0.0.1 -P %d -u root acme -e "INSERT INTO outbox (recipients, subject, body_text) VALUES ('you@example.org', 'Hello', 'My first mail.')"`, port)
}

// welcome says what runs and where to look.
func welcome(p *parts) string {
	var b strings.Builder
	fmt.Fprintf(&b, "This is outboxd: a row that is inserted into an outbox table leaves as a mail, and says what became of it.\n")
	fmt.Fprintf(&b, "Everything below runs in this one process, and no mail leaves your computer.\n\n")
	fmt.Fprintf(&b, "  database     127.0.0.1:%d, user root without password: the companies acme and bakery, in memory\n", p.database.address.Port)
	fmt.Fprintf(&b, "  mail server  127.0.0.1:%d, keeps every mail and sends none\n", p.catcher.Port())
	fmt.Fprintf(&b, "  outboxd      by %s\n", filepath.Join(p.folder, "jobs.yaml"))
	fmt.Fprintf(&b, "  look here    %s\n\n", page.FileURL(filepath.Join(p.folder, "index.html")))
	fmt.Fprintf(&b, "Send a mail yourself, from another terminal (mysql takes the same options as mariadb):\n\n  %s\n\n", command(p.database.address.Port))
	fmt.Fprintf(&b, "Sample rows are inserted:\n\n")
	return b.String()
}

// farewell says how it ended and what is left.
func farewell(p *parts, samples int, asExpected bool) string {
	left := fmt.Sprintf("The mails, the last states and the log stay in %s.\n", p.folder)
	if asExpected {
		return fmt.Sprintf("\nAll %d sample rows have become what they should, and the mailing is closed. %s", samples, left)
	}
	return "\nStopped. " + left
}
