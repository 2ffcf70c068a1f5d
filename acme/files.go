// Package acme holds the files of the example company, a trading company: for the demo, and to be copied.
package acme

import "embed"

// Files has two folders as jobs.yaml names them: templates, and documents, below which lie files that mails may attach.
//
//go:embed all:templates documents
var Files embed.FS

// Sample makes the company's own tables with a few customers and invoices: statements that end with a semicolon and a line
// break. outbox_tag must be there.
//
//go:embed sample.sql
var Sample string
