// Package dnstest is a DNS server for tests: a resolver on loopback, by UDP and TCP, with records of the test's and faults by name.
package dnstest

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server answers for every name: with its records, and that there is no such name.
type Server struct {
	t    testing.TB
	addr string

	mu      sync.Mutex
	records []dns.RR
	faults  map[string]Fault
	asked   map[string]int
}

// Fault answers in place of the server. answer is what the server would have said.
type Fault func(w dns.ResponseWriter, ask, answer *dns.Msg)

// New starts a server that knows nothing. It ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, faults: map[string]Fault{}, asked: map[string]int{}}
	packets, streams, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	s.addr = packets.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: streams, Handler: s}} {
		started, ended := make(chan struct{}), make(chan error, 1)
		server.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- server.ActivateAndServe() }()
		select {
		case <-started:
		case err := <-ended:
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(server.Shutdown(), <-ended); err != nil {
				t.Error(err)
			}
		})
	}
	return s
}

// listen takes one port for both networks.
func listen() (packets net.PacketConn, streams net.Listener, err error) {
	for range 20 {
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if streams, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, streams, nil
		}
		err = errors.Join(err, packets.Close())
	}
	return nil, nil, err
}

// Addr is where the server listens, HOST:PORT.
func (s *Server) Addr() string { return s.addr }

// Add adds records in the form of a zone file: one a line, names with their last dot.
func (s *Server) Add(zone string) {
	s.t.Helper()
	var lines strings.Builder
	for line := range strings.Lines(zone) {
		lines.WriteString(strings.TrimSpace(line) + "\n") // a blank at the beginning would mean the name of the line above
	}
	parser := dns.NewZoneParser(strings.NewReader(lines.String()), ".", "")
	parser.SetDefaultTTL(60)
	s.mu.Lock()
	defer s.mu.Unlock()
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		s.records = append(s.records, rr)
	}
	if err := parser.Err(); err != nil {
		s.t.Fatal(err)
	}
}

// Set replaces all records that the names of the zone have of the same kinds.
func (s *Server) Set(zone string) {
	s.t.Helper()
	s.mu.Lock()
	old := s.records
	s.records = nil
	s.mu.Unlock()
	s.Add(zone)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rr := range old {
		replaced := false
		for _, fresh := range s.records {
			replaced = replaced || same(rr, fresh.Header().Name) && rr.Header().Rrtype == fresh.Header().Rrtype
		}
		if !replaced {
			s.records = append(s.records, rr)
		}
	}
}

// Remove takes away all records of a name.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []dns.RR
	for _, rr := range s.records {
		if !same(rr, dns.Fqdn(name)) {
			kept = append(kept, rr)
		}
	}
	s.records = kept
}

// On lets a fault answer for a name, whatever is asked about it; nil ends that.
func (s *Server) On(name string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[strings.ToLower(dns.Fqdn(name))] = f
}

// Asked tells how many questions about a name came.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[strings.ToLower(dns.Fqdn(name))]
}

// ServeDNS answers one question.
func (s *Server) ServeDNS(w dns.ResponseWriter, ask *dns.Msg) {
	if len(ask.Question) != 1 {
		return
	}
	name := strings.ToLower(ask.Question[0].Name)
	s.mu.Lock()
	s.asked[name]++
	fault, answer := s.faults[name], s.answer(ask)
	s.mu.Unlock()
	if fault != nil {
		fault(w, ask, answer)
		return
	}
	if w.LocalAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if o := ask.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		answer.Truncate(size)
	}
	_ = w.WriteMsg(answer) // who asked may be gone
}

// answer follows aliases as a resolver does.
func (s *Server) answer(ask *dns.Msg) *dns.Msg {
	reply := new(dns.Msg)
	reply.SetReply(ask)
	reply.RecursionAvailable = true
	name, kind := ask.Question[0].Name, ask.Question[0].Qtype
	for range 12 {
		exists, alias := false, ""
		for _, rr := range s.records {
			h := rr.Header()
			exists = exists || same(rr, name) || strings.HasSuffix(strings.ToLower(h.Name), "."+strings.ToLower(name))
			if !same(rr, name) {
				continue
			}
			if cname, ok := rr.(*dns.CNAME); ok && kind != dns.TypeCNAME {
				alias = cname.Target
			} else if h.Rrtype != kind {
				continue
			}
			reply.Answer = append(reply.Answer, rr)
		}
		if !exists {
			reply.Rcode = dns.RcodeNameError
		}
		if alias == "" {
			break
		}
		name = alias
	}
	return reply
}

func same(rr dns.RR, name string) bool { return strings.EqualFold(rr.Header().Name, name) }

// Code answers with a code and nothing else, as dns.RcodeServerFailure.
func Code(code int) Fault {
	return func(w dns.ResponseWriter, ask, _ *dns.Msg) {
		reply := new(dns.Msg)
		_ = w.WriteMsg(reply.SetRcode(ask, code))
	}
}

// Silent answers nothing.
func Silent(dns.ResponseWriter, *dns.Msg, *dns.Msg) {}
