// Package mailing is what a run of a mailing or report is made of: its spec, as it was when the run began, and its audience, row by
// row, as mails to insert.
//
// The audience is one query of the company's reader. It is copied as it arrives into a file that nobody else sees, so that the
// database's snapshot is open for seconds, and memory does not grow with the number of rows. What the mails are is decided from that
// file alone: a plan, a proof and the run itself count the same.
//
// A row that cannot be mailed is never dropped: it becomes a mail that has ended as skipped, with the reason and what to do. Only what
// spoils every row is an error, an *AudienceError, and then there is no mail at all.
package mailing
