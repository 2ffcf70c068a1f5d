package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"outboxd/mail/compose/dkim"
	"outboxd/mail/sendercheck"
)

type dkimKeygenCommand struct {
	Domain   string `arg:"" help:"The domain of the senders' addresses."`
	Selector string `help:"Under which name the public key stands in the DNS (${default})." default:"outboxd"`
	Kind     string `help:"The kind of key: rsa, which every receiver knows, or ed25519." enum:"rsa,ed25519" default:"rsa"`
	Out      string `help:"Where to write the private key; dkim-DOMAIN in the folder secrets beside jobs.yaml when not given." placeholder:"FILE"`
	JSON     bool   `help:"Print JSON."`
}

// newKey is what a person needs to know of a new key. Nothing in it is secret.
type newKey struct {
	Domain   string   `json:"domain"`
	Selector string   `json:"selector"`
	Kind     string   `json:"kind"`
	File     string   `json:"file"`   // of the private key
	Name     string   `json:"name"`   // of the TXT record
	Record   string   `json:"record"` // its value, in one piece
	Zone     string   `json:"zone"`   // both as a line of a zone file
	JobsYAML string   `json:"jobs_yaml"`
	Next     []string `json:"next"`
}

// Run makes a key and says what to do with it. It reads no jobs.yaml.
func (c dkimKeygenCommand) Run(i *invocation) error {
	pem, err := dkim.Generate(c.Kind)
	if err != nil {
		return err
	}
	signer, err := dkim.New(c.Domain, c.Selector, pem)
	if err != nil {
		return &usageError{err.Error(), "for example: outboxd dkim keygen acme.example --selector outboxd"}
	}
	folder := filepath.Dir(i.config)
	file := c.Out
	if file == "" {
		file = filepath.Join(folder, "secrets", "dkim-"+signer.Domain())
	}
	if file, err = filepath.Abs(file); err != nil {
		return err
	}
	if err := writeKey(file, pem); err != nil {
		return err
	}
	k := newKey{Domain: signer.Domain(), Selector: c.Selector, Kind: c.Kind, File: file, Name: signer.RecordName(), Record: signer.Record(),
		Zone: sendercheck.TXT(signer.RecordName(), signer.Record()).Zone, JobsYAML: fmt.Sprintf("dkim:\n  %s: {selector: %s, key: {file: %q}}\n", signer.Domain(), c.Selector, reference(folder, file))}
	k.Next = []string{
		"put the record into the DNS of " + k.Domain + ", and wait until it is there",
		"add the lines to " + i.config + " (one dkim: for all domains); the user that outboxd runs as must be able to read the key",
		"look whether all is there: sudo -u outboxd outboxd check --online",
		"sudo systemctl reload outboxd",
	}
	return k.print(i, c.JSON)
}

// reference is the file as jobs.yaml names it: relative to its own folder where it lies below it.
func reference(folder, file string) string {
	if abs, err := filepath.Abs(folder); err == nil {
		if rel, err := filepath.Rel(abs, file); err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return filepath.ToSlash(file)
}

// writeKey writes a private key into a new file that others may not read. A file that is there is never touched: mails may
// be signed with what is in it.
func writeKey(file, pem string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return &hintedError{err, "it may be a key in use: choose another file with --out, and for a domain that is signed already another --selector"}
	}
	if err != nil {
		return &hintedError{err, "make the folder, run this as a user who may write there (sudo), or choose another file with --out"}
	}
	_, err = f.WriteString(pem)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = shareWithFolder(file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

// hintedError is an error with what to do about it.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) ErrorHint() string { return e.hint }
func (e *hintedError) Unwrap() error     { return e.error }

func (k newKey) print(i *invocation, asJSON bool) error {
	if asJSON {
		return printJSON(i.stdout, k, "  ")
	}
	w := &errorWriter{w: i.stdout}
	fmt.Fprintf(w, "The private key is in %s. Nobody else is to see it.\n", clean(k.File))
	fmt.Fprintf(w, "\nThe TXT record for the DNS:\n  name   %s\n  value  %s\n", k.Name, k.Record)
	fmt.Fprintf(w, "\nThe same as a line of a zone file:\n  %s\n", k.Zone)
	fmt.Fprintf(w, "\nFor jobs.yaml:\n%s\n", indented(strings.TrimSuffix(k.JobsYAML, "\n")))
	fmt.Fprintln(w, "\nWhat to do next:")
	for n, step := range k.Next {
		fmt.Fprintf(w, "  %d. %s\n", n+1, clean(step))
	}
	return w.err
}
