//go:build unix

package torture

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"outboxd/mail/smtptest"
)

// ledger is what the SMTP server knows: the truth that the table is compared with.
type ledger struct {
	mu       sync.Mutex
	data     map[string]int      // DATA commands read, by recipient
	accepted map[string][]string // Message-IDs accepted, by recipient
	ids      map[string]string   // Message-ID by key of the row
	paced    []time.Time         // when the DATA of the limited account were read
	broken   []string            // what cannot be, in words
}

func newLedger() *ledger {
	return &ledger{data: map[string]int{}, accepted: map[string][]string{}, ids: map[string]string{}}
}

// read notes a DATA command, whatever becomes of it.
func (l *ledger) read(m smtptest.Moment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, to := range m.To {
		l.data[to]++
	}
	if m.From == pacedSender {
		l.paced = append(l.paced, time.Now())
	}
}

// pacedReads is how many mails of the limited account came to DATA.
func (l *ledger) pacedReads() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.paced)
}

// accept notes a message that the server took, also when its reply gets lost.
func (l *ledger) accept(m smtptest.Message) {
	key := keyOf(m.To[0])
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Malformed != "" {
		l.broken = append(l.broken, fmt.Sprintf("%s: malformed: %s", key, m.Malformed))
	}
	if id, known := l.ids[key]; known && id != m.MessageID {
		l.broken = append(l.broken, fmt.Sprintf("%s: two Message-IDs, %s and %s", key, id, m.MessageID))
	}
	l.ids[key] = m.MessageID
	if !bytes.Contains(m.Data, []byte("\r\nSubject: "+subjectOf(key)+"\r\n")) || !bytes.Contains(m.Data, []byte(endOf(key))) {
		l.broken = append(l.broken, fmt.Sprintf("%s: has another mail, or not all of it (%s)", key, m.MessageID))
	}
	for _, to := range m.To {
		if keyOf(to) != key {
			l.broken = append(l.broken, fmt.Sprintf("%s: shares a mail with %s", to, key))
		}
		l.accepted[to] = append(l.accepted[to], m.MessageID)
	}
}

// fullestMinute is the most DATA of the limited account in any sixty seconds.
func (l *ledger) fullestMinute() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	most, first := 0, 0
	for i, at := range l.paced {
		for at.Sub(l.paced[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// keyOf is the row of a recipient: m17 of m17b@d3.example.
func keyOf(address string) string {
	local, _, _ := strings.Cut(address, "@")
	return strings.TrimRight(local, "abcdefgh")
}

func subjectOf(key string) string { return "Mail " + key + " of the run" }

// endOf stands at the end of a row's text.
func endOf(key string) string { return "The end of " + key + "." }
