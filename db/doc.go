// Package db is the store: the outbox tables of the companies, the token buckets and the audit.
//
// It promises that a row is never in two hands at once and never without a state. Every change to a row that is being
// sent is guarded by its lease token; what a guard refuses is reported, never forced. A statement either happened or did
// not: a COMMIT whose reply was lost is read back before anybody is told.
//
// Failures come back as they are, wrapped with the operation. Kind sorts them: a deadlock is tried again here, a lost or
// read-only server is the caller's to wait for, a missing table or right is for a person. No statement names a database
// by default: each names its company's, so that no row of one company can reach another.
package db
