package db

import "errors"

// Remedy says what a person who runs outboxd can do about an error of a database: a few words, also for an error of no known kind.
func Remedy(err error) string {
	var schema *SchemaError
	var altered *ShapeError
	switch {
	case errors.As(err, &schema):
		return schema.Remedy()
	case errors.As(err, &altered):
		return altered.Remedy()
	}
	switch Kind(err) {
	case KindSetup:
		return "check the user, its password and its rights in jobs.yaml and on the server: outboxd check --online"
	case KindReadOnly:
		return "the server takes no writes: is it a replica?"
	case KindFull:
		return "make room on the database server's disk"
	case KindLost:
		return "is the database server running, and can this computer reach it?"
	}
	return "outboxd check --online"
}
