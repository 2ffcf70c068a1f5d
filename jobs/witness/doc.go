// Package witness remembers, in the daemon's state directory, what a company's database could forget: how far it had come,
// and which mails were handed over. A restored database cannot take that back.
//
// It promises that what it remembers was true: a file that cannot be read counts as none. It writes after the database, so
// it is never ahead of it; a crash in between leaves it a little behind, which is harmless. Each daemon has a folder of
// its own and reads those of all.
//
// Failure rules: an error of the disk is returned and loses no mail; the control database is the second witness.
package witness
