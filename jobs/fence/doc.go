// Package fence keeps a company from sending from a copy of its database: one that was restored, also in place, or that was cloned
// to another server (P8).
//
// It promises:
//   - A database that is older than one of the two witnesses remembers, the control database and the state directory, sends nothing: no
//     row is taken, and none that was taken is marked. The same holds for one at a place where it was never seen.
//   - Also between two looks no mail that was handed over before goes again: a taken row is held against what was handed over.
//   - A planned failover within a cluster, and a server that was moved with all that it had, are not stopped.
//   - The right database ends a fence by itself; else a person does, by adopting the copy. The fence decides nothing about rows but one: a row
//     that a server has accepted before is held.
//
// Failure rules: what cannot be explained is a copy, though only after a while, for a node may lag behind. A database that does not answer is an
// error and no copy. A witness that does not answer is told of in the log, and the other one decides; where nobody else knows the company, that is an
// error. What the witnesses learn they learn after the database, so a crash leaves them behind it, which is harmless.
//
// A [Fence] begins with Reopen; Open begins a company's work, Pass and Admit stand before it, Marked and Settled note what was handed over, and
// End is the last word. [Company.Examine] is the same look for those who have no fence. docs/flow.md tells what is evidence.
package fence
