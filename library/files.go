// Package library holds the files of the second example company, a library: to be copied.
package library

import "embed"

// Files has the folder templates, as companies/library.yaml names it.
//
//go:embed templates
var Files embed.FS

// Sample makes the library's own tables with a few members and loans: statements that end with a semicolon and a line break.
// outbox_tag must be there.
//
//go:embed sample.sql
var Sample string
