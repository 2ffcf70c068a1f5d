package mailing

import (
	"outboxd/db"
	"outboxd/mail"
)

// Addresses are the bare addresses of all whom a mail goes to, visibly or not, read as they are when it is sent.
func Addresses(m db.NewMail) []string {
	var all []string
	for _, column := range []string{m.Recipients, m.Cc, m.Bcc} {
		list, err := mail.ParseAddressList(column)
		if err != nil {
			return nil // it is not sent
		}
		for _, a := range list {
			all = append(all, a.Addr())
		}
	}
	return all
}
