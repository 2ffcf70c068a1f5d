// Package jobs is the engine: it runs the deliver jobs of all companies of a jobs.yaml, and answers for their rows.
//
// It promises:
//   - A row that was taken gets an outcome: it is settled, given back, or found by its mark after a crash.
//   - The mark is committed before the first octet of a body leaves, so nothing is sent twice unless a person, or the job's
//     on_uncertain, says so.
//   - No account exceeds its limits. A bucket that cannot be asked means that nothing is sent.
//   - A company's database, an account's server or a recipient's domain that is in trouble holds up nobody else.
//
// Failure rules: what is wrong with a row fails that row, before anything is sent. What is wrong with an account pauses it
// in all daemons and spends no attempt. What is wrong with a database is waited for; a person is told when it lasts. An
// outcome is written again and again until the database takes it or refuses the values themselves.
//
// An [Engine] is made of a [World], the databases that the file leads to. Each company has a runner for each of its jobs,
// each runner a feeder for each account, and a feeder never takes more rows than there are free senders. [Desk] is what
// people may ask and do, beside a running engine or without one. docs/flow.md has a message's whole life.
//
// Ideas of their own stand in packages below: jobfile (jobs.yaml), mailing (an audience becomes rows), fence (a copy of a
// database keeps quiet), witness (what a restored one has forgotten), alerts (a person is told).
package jobs
