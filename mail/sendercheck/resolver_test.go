package sendercheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"outboxd/mail/sendercheck/dnstest"
)

// soon is the timeout of a resolver that asks a server which is not to answer.
const soon = 20 * time.Millisecond

func resolver(s *dnstest.Server) *Resolver { return &Resolver{Servers: []string{s.Addr()}} }

func TestAnswers(t *testing.T) {
	s := dnstest.New(t)
	giant := strings.Repeat("0123456789", 2000)
	var parts []string
	for part := range slices.Chunk([]byte(giant), 250) {
		parts = append(parts, `"`+string(part)+`"`)
	}
	s.Add(`
		acme.example. MX 20 Second.acme.example.
		acme.example. MX 10 first.acme.example.
		first.acme.example. A 192.0.2.1
		first.acme.example. AAAA 2001:db8::1
		strange.example. TXT "a\"b\\c\200" "d"
		one.example. CNAME two.example.
		two.example. CNAME three.example.
		three.example. TXT "here"
		to-nowhere.example. CNAME nowhere.example.
		giant.example. TXT ` + strings.Join(parts, " "))
	r := resolver(s)
	ctx := t.Context()
	if all, err := r.exchangers(ctx, "ACME.example"); err != nil || len(all) != 2 || all[0].host != "first.acme.example" || all[1].host != "second.acme.example" {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := r.addresses(ctx, "first.acme.example"); err != nil || fmt.Sprint(all) != "[192.0.2.1 2001:db8::1]" {
		t.Errorf("%v, %v", all, err)
	}
	for name, want := range map[string]string{"strange.example": "a\"b\\c\xc8d", "one.example": "here", "giant.example": giant} {
		if texts, err := r.texts(ctx, name); err != nil || len(texts) != 1 || texts[0] != want {
			t.Errorf("%s: %.100q, %v", name, texts, err)
		}
	}
	for name, exists := range map[string]bool{"acme.example": true, "nobody.example": false, "to-nowhere.example": false, "example": true} {
		if found, err := r.ask(ctx, name, dns.TypeTXT); err != nil || found.exists != exists || len(found.records) > 0 {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	before := s.Asked("acme.example.")
	if _, err := r.exchangers(ctx, "acme.example."); err != nil || s.Asked("acme.example") != before {
		t.Error("asked again", err)
	}
}

// reply answers with records in place of the server's, for the question or for what else is told.
func reply(change func(m *dns.Msg), records ...string) dnstest.Fault {
	return func(w dns.ResponseWriter, ask, _ *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(ask)
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		if change != nil {
			change(m)
		}
		_ = w.WriteMsg(m)
	}
}

// What is no answer to the question is not known, whatever it says; a name with a fault does not disturb the others.
func TestAnswersThatAreNone(t *testing.T) {
	hosts := map[string]struct {
		fault dnstest.Fault
		why   string
	}{
		"servfail.example": {dnstest.Code(dns.RcodeServerFailure), "SERVFAIL"},
		"refused.example":  {dnstest.Code(dns.RcodeRefused), "REFUSED"},
		"formerr.example":  {dnstest.Code(dns.RcodeFormatError), "FORMERR"},
		"unknown.example":  {dnstest.Code(13), "answer code 13"},
		"silent.example":   {dnstest.Silent, "timeout"},
		"wrong-id.example": {reply(func(m *dns.Msg) { m.Id++ }, `wrong-id.example. TXT "evil"`), "timeout"},
		"other.example":    {reply(func(m *dns.Msg) { m.Question[0].Name = "evil.example." }, `other.example. TXT "evil"`), "another question"},
		"kind.example":     {reply(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }, `kind.example. TXT "evil"`), "another question"},
		"no-reply.example": {reply(func(m *dns.Msg) { m.Response = false }, `no-reply.example. TXT "evil"`), "another question"},
		"cut.example":      {reply(func(m *dns.Msg) { m.Truncated = true }), "cut short"},
		"loop.example":     {reply(nil, "loop.example. CNAME b.example.", "b.example. CNAME loop.example."), "in circles"},
		"self.example":     {reply(nil, "self.example. CNAME self.example."), "in circles"},
		"garbage.example": {func(w dns.ResponseWriter, ask, _ *dns.Msg) {
			_, _ = w.Write([]byte{byte(ask.Id >> 8), byte(ask.Id), 0x81, 0x80, 0, 1, 255, 255, 0, 0, 0, 0, 192, 12})
		}, "dns:"},
		"hangup.example": {func(w dns.ResponseWriter, ask, answer *dns.Msg) {
			if w.LocalAddr().Network() == "udp" {
				reply(func(m *dns.Msg) { m.Truncated = true })(w, ask, answer)
				return
			}
			_ = w.Close()
		}, "EOF"},
	}
	s := dnstest.New(t)
	for name, c := range hosts {
		s.On(name, c.fault)
		r := resolver(s)
		if strings.Contains(c.why, "timeout") {
			r.Timeout = soon
		}
		texts, err := r.texts(t.Context(), name)
		var unanswered *UnansweredError
		if texts != nil || !errors.As(err, &unanswered) || !strings.Contains(err.Error(), "TXT "+name) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %q, %v", name, texts, err)
		}
	}
	long := resolver(s)
	for i := range 20 {
		s.Add(fmt.Sprintf("alias%d.example. CNAME alias%d.example.", i, i+1))
	}
	if _, err := long.texts(t.Context(), "alias0.example"); err == nil || !strings.Contains(err.Error(), "CNAMEs one after the other") {
		t.Error(err)
	}
	for _, name := range []string{"a..example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 200)} {
		if _, err := long.texts(t.Context(), name); err == nil || !strings.Contains(err.Error(), "no name of the DNS") {
			t.Errorf("%.80s: %v", name, err)
		}
	}
}

func TestAnswersOnTheSecondTry(t *testing.T) {
	s := dnstest.New(t)
	s.Add(`two.example. TXT "good"`)
	r := resolver(s)
	// A forged answer comes first.
	s.On("forged.example", func(w dns.ResponseWriter, ask, answer *dns.Msg) {
		reply(func(m *dns.Msg) { m.Id++ }, `forged.example. TXT "evil"`)(w, ask, answer)
		reply(nil, `forged.example. TXT "good"`, `evil.example. TXT "evil"`, `forged.example. CH TXT "evil"`)(w, ask, answer)
	})
	first := true
	s.On("busy.example", func(w dns.ResponseWriter, ask, answer *dns.Msg) {
		if first {
			first = false
			dnstest.Code(dns.RcodeServerFailure)(w, ask, answer)
			return
		}
		reply(nil, `busy.example. TXT "good"`)(w, ask, answer)
	})
	s.On("old.example", func(w dns.ResponseWriter, ask, answer *dns.Msg) {
		if ask.IsEdns0() != nil {
			dnstest.Code(dns.RcodeFormatError)(w, ask, answer)
			return
		}
		reply(nil, `old.example. TXT "good"`)(w, ask, answer)
	})
	// A server that gives aliases without where they lead.
	s.On("alias.example", reply(nil, "alias.example. CNAME two.example."))
	for _, name := range []string{"forged.example", "busy.example", "old.example", "alias.example"} {
		if texts, err := r.texts(t.Context(), name); err != nil || !slices.Equal(texts, []string{"good"}) {
			t.Errorf("%s: %q, %v", name, texts, err)
		}
	}
}

// A server that never answers is asked a few times only, and another one that was named takes over.
func TestSilentServersAreGivenUp(t *testing.T) {
	silent, good := dnstest.New(t), dnstest.New(t)
	good.Add(`*.example. TXT "x"`)
	asked := 0
	for i := range 20 {
		silent.On(fmt.Sprintf("n%d.example", i), dnstest.Silent)
	}
	r := &Resolver{Servers: []string{silent.Addr()}, Timeout: soon}
	for i := range 20 {
		name := fmt.Sprintf("n%d.example", i)
		if _, err := r.texts(t.Context(), name); err == nil {
			t.Error("an answer")
		}
		asked += silent.Asked(name)
	}
	if asked != maxSilence*tries {
		t.Errorf("asked %d times", asked)
	}
	r = &Resolver{Servers: []string{silent.Addr(), good.Addr()}}
	r.silent, r.known = map[string]int{silent.Addr(): maxSilence * tries}, map[question]*memory{}
	if found, err := r.ask(t.Context(), "n1.example", dns.TypeTXT); err != nil || found.exists {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := (&Resolver{}).texts(t.Context(), "a.example"); err == nil || !strings.Contains(err.Error(), "no resolver") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := resolver(good).texts(ctx, "a.example"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// One that answers some questions is not given up for others.
func TestServersThatAnswerAreKept(t *testing.T) {
	s := dnstest.New(t)
	r := resolver(s)
	for i := range maxSilence + 2 {
		silent := fmt.Sprintf("n%d.example", i)
		s.On(silent, dnstest.Silent)
		r.Timeout = soon
		if _, err := r.texts(t.Context(), silent); err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Error(err)
		}
		r.Timeout = 0
		if _, err := r.texts(t.Context(), fmt.Sprintf("good%d.example", i)); err != nil {
			t.Error(err)
		}
	}
}

func TestNewResolver(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "ns.acme.example": "ns.acme.example:53", "2001:db8::1": "[2001:db8::1]:53",
		"[2001:db8::1]:5353": "[2001:db8::1]:5353", "[2001:db8::1]": "[2001:db8::1]:53",
		"": "", ":53": "", "a b": "", "a:b:c": "", "192.0.2.1:": "", "udp://x": "",
	} {
		r, err := NewResolver(text)
		got := ""
		if err == nil {
			got = r.Servers[0]
		}
		if got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestReverseNames(t *testing.T) {
	s := dnstest.New(t)
	s.Add("1.2.0.192.in-addr.arpa. PTR Mail.Acme.example.\n" + "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail6.acme.example.")
	for at, want := range map[string]string{"192.0.2.1": "[mail.acme.example]", "2001:db8::1": "[mail6.acme.example]", "192.0.2.2": "[]"} {
		if names, err := resolver(s).names(t.Context(), netip.MustParseAddr(at)); err != nil || fmt.Sprint(names) != want {
			t.Errorf("%s: %v, %v", at, names, err)
		}
	}
}
