// Package mail holds what every part of outboxd agrees on: what an address is, what a reply of an SMTP server means,
// and what a person should do about it.
//
// It promises:
//   - An [Address] that came out of [ParseAddress] or [ParseAddressList] can stand in an SMTP command and in a header as
//     it is: no controls, no blanks, no quotes, no angle brackets, lengths within RFC 5321, the domain in A-labels.
//   - [Classify] and [ClassifyIO] answer for any input, without a panic and without an error. What they do not know is
//     [Temporary]: an unknown thing is never a reason to give a mail up.
//   - [Accepted] comes from a 2xx reply and from nothing else. Where the final dot may have gone out and no readable
//     reply came back, the outcome is [Uncertain].
//   - What belongs to the account or the server says so, so that the account pauses and the mails spend no attempts.
//   - No text that leaves this package holds a control character.
//
// Classification goes by general rules: key phrases first, then the enhanced status code (RFC 3463), then the reply code,
// then the step at which the reply came. Servers use the same code for very different things, so the words weigh most.
//
// The package imports nothing else of outboxd, opens no connection and keeps no state.
package mail
