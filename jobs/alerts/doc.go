// Package alerts tells a person of troubles by mail: once when one starts, and once when it is over.
//
// It promises:
//   - Who reports a trouble never waits, and may report it as often as it likes: a trouble is known by its key, and told once,
//     also over restarts of the daemon.
//   - Every alert stands in the log as well, also where nobody is to be told by mail.
//   - An alert goes by an account that is well, and never by the one that it tells of while that is ill.
//
// Failure rules: an alert that no account can carry is tried again each minute for six hours, and then given up, in the log. Of more than
// a hundred that wait the rest is only logged. Where the memory cannot be asked, a restart tells again: too often rather than never.
package alerts
