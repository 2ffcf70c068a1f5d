package mail

// Envelope is what SMTP is told about a message (RFC 5321 2.3.1), which need not be what its header says.
type Envelope struct {
	From string   // return path as local@host; "" is the null return path
	To   []string // recipients as local@host
}
