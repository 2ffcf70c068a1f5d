// Package smtpout sends mails over one SMTP connection to one account's server and says exactly what became of each.
//
// It promises:
//   - No password and no mail leaves in clear unless the configuration says so: without STARTTLS, with a bad
//     certificate, or with a login that the server does not offer, [Dial] fails and nothing was said. A login in
//     clear is made to a server on loopback only.
//   - An [mail.Outcome] of Accepted means that a 2xx reply to the final dot was read, and Uncertain that the dot may
//     have gone out and no readable reply came back. Everything else means that the server did not take the message.
//   - [Delivery].Mark has returned nil before the first byte of the content is written.
//   - Each recipient has its own outcome: one refused at RCPT does not stop the others.
//   - The end of the context is noticed at once at every step until Mark has returned nil, or without Mark until
//     the chunk with the final dot is written. From there on only the deadlines of [Timeouts] end a transaction.
//   - Nothing that comes in as an address or as a message can add a command to the dialogue.
//
// Failure rules: any I/O error, any reply that is none and any reply that does not fit its command end the connection,
// because a reply that comes late would be taken for the answer to the next command. A 4xx or 5xx reply is followed by
// RSET and leaves the session usable; 421 closes it. What was not said is never guessed: a server that announces no
// extension gets none.
//
// The SMTP transaction itself (MAIL, RCPT, DATA, the dot) is xhit/go-simple-mail's. It runs over a
// net.Conn of ours (bridge.go), which knows the step from what the library writes, puts the envelope's parameters and
// the null return path into MAIL, writes the message where the library writes a stand-in, so that a large one is in memory
// once, reads and bounds every reply, and gives the library a plain yes or no in its place.
// Connecting, EHLO, STARTTLS and AUTH are done here before the library gets the connection, for it would go on in
// clear and without a login where the server offers neither, and it matches the prompts of AUTH LOGIN by their words.
package smtpout
