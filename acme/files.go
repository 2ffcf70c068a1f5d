// Package acme holds the files of the example company: for the demo, and to be copied.
package acme

import "embed"

// Files has two folders as jobs.yaml names them: templates, and documents, below which lie files that mails may attach.
//
//go:embed all:templates documents
var Files embed.FS
