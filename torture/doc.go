// Package torture attacks a whole outboxd and finds out whether it keeps its promises.
//
// Real daemons are killed, frozen and started again while they empty an outbox on a real MariaDB, which is killed, frozen, made
// read-only and filled up meanwhile, through an SMTP server that refuses, stalls, cuts and lies. That server's ledger is
// compared with the table at the end. A break is:
//
//   - lost: a committed row that is neither in the table nor ended, or that is sent in the table and not in the ledger;
//   - twice: a recipient to whom a row was accepted more than once;
//   - unseen: a recipient that is uncertain although the server never read a DATA for it;
//   - untrue: an outcome that the ledger contradicts in another way, as failed where it was accepted;
//   - ghost: a mail of a transaction that was rolled back;
//   - mixed: a recipient with another row's mail, or one mail under two Message-IDs;
//   - over: a minute with more mails than the account's limit;
//   - ended: a daemon that ended by itself, also by a data race where the race detector looks on.
//
// It must be able to fail: TestPlanted builds daemons with a bug that a text edit puts in, and wants each found. The daemon itself
// has no hooks for any of this.
//
// A seed fixes the rows, the order of the faults and which message meets which fault; it does not fix how the system schedules the
// processes. A power cut of the machine is not simulated: a killed MariaDB loses nothing that the kernel holds.
package torture
