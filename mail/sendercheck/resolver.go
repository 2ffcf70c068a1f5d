package sendercheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	udpSize    = 1232 // octets of an answer that no path fragments (EDNS0, RFC 6891)
	tries      = 2    // of each server for one question
	maxAliases = 8    // CNAMEs from one name to its records
	maxSilence = 3    // questions in a row that time out before a server is given up
	maxRecords = 100  // of one answer that are looked at
)

// Resolver asks the DNS through the servers that it was given, and through no other. It remembers answers. Many goroutines may use it.
type Resolver struct {
	Servers []string      // HOST:PORT of resolvers that ask others, in order of preference
	Timeout time.Duration // of one try; 3 s when 0

	mu     sync.Mutex
	known  map[question]*memory
	silent map[string]int // questions in a row that a server did not answer
}

type question struct {
	name string // lower case, with the last dot
	kind uint16
}

// memory is what is known about a question. The first who asks fills it.
type memory struct {
	once   sync.Once
	answer answer
	err    error
}

// answer is what the DNS says about a name, after its aliases.
type answer struct {
	exists  bool     // false: no such name (NXDOMAIN)
	records []dns.RR // of the kind that was asked for; none though the name exists: NODATA
}

// UnansweredError says that the resolver could not tell.
type UnansweredError struct {
	Name string
	Kind string // of the record
	Err  error
}

// Error tells what was asked and why there is no answer.
func (e *UnansweredError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Kind, strings.TrimSuffix(e.Name, "."), e.Err)
}

// Unwrap returns why.
func (e *UnansweredError) Unwrap() error { return e.Err }

// NewResolver returns a resolver that asks one server, HOST or HOST:PORT.
func NewResolver(server string) (*Resolver, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = strings.Trim(server, "[]"), "53"
		if strings.Contains(host, ":") {
			_, err = netip.ParseAddr(host)
		} else {
			err = nil
		}
	}
	if _, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || host == "" || strings.ContainsAny(host, " /@") {
		return nil, fmt.Errorf("%.100q is no resolver: HOST, or HOST:PORT with an IPv6 address in brackets", server)
	}
	return &Resolver{Servers: []string{net.JoinHostPort(host, port)}}, nil
}

// resolvConf names the system's resolvers (resolv.conf(5)).
const resolvConf = "/etc/resolv.conf"

// SystemResolver returns one that asks the servers which the system asks.
func SystemResolver() (*Resolver, error) {
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nil, fmt.Errorf("find the system's resolvers: %w", err)
	}
	var r Resolver
	for _, server := range conf.Servers {
		r.Servers = append(r.Servers, net.JoinHostPort(server, conf.Port))
	}
	if len(r.Servers) == 0 {
		return nil, fmt.Errorf("%s names no resolver", resolvConf)
	}
	return &r, nil
}

// ask returns the records of a kind, following aliases. An error is an *[UnansweredError].
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (answer, error) {
	written, err := canonical(name)
	if err != nil {
		return answer{}, &UnansweredError{name, dns.TypeToString[kind], err}
	}
	q := question{written, kind}
	r.mu.Lock()
	if r.known == nil {
		r.known, r.silent = map[question]*memory{}, map[string]int{}
	}
	known := r.known[q]
	if known == nil {
		known = &memory{}
		r.known[q] = known
	}
	r.mu.Unlock()
	known.once.Do(func() {
		if known.answer, known.err = r.follow(ctx, q); known.err != nil {
			known.err = &UnansweredError{q.name, dns.TypeToString[kind], known.err}
		}
	})
	return known.answer, known.err
}

// canonical is a name as the library writes it in answers, in lower case and with its last dot.
func canonical(name string) (string, error) {
	wire := make([]byte, 256)
	if _, err := dns.PackDomainName(dns.Fqdn(name), wire, 0, nil, false); err != nil {
		return "", errors.New("it is no name of the DNS")
	}
	written, _, err := dns.UnpackDomainName(wire, 0)
	return strings.ToLower(written), err
}

// follow asks, and asks again for the name at the end of the aliases when the server left out its records.
func (r *Resolver) follow(ctx context.Context, q question) (answer, error) {
	seen := map[string]bool{}
	for {
		msg, err := r.exchange(ctx, q)
		if err != nil {
			return answer{}, err
		}
		found := answer{exists: msg.Rcode != dns.RcodeNameError}
		name, err := endOfAliases(msg, q.name, seen)
		if err != nil {
			return answer{}, err
		}
		for _, rr := range msg.Answer {
			if h := rr.Header(); h.Rrtype == q.kind && h.Class == dns.ClassINET && strings.EqualFold(h.Name, name) && len(found.records) < maxRecords {
				found.records = append(found.records, rr)
			}
		}
		if name == q.name || len(found.records) > 0 || !found.exists {
			return found, nil
		}
		q.name = name
	}
}

// endOfAliases follows the CNAMEs of an answer. seen are the names that were left before.
func endOfAliases(msg *dns.Msg, name string, seen map[string]bool) (string, error) {
	for {
		target := ""
		for _, rr := range msg.Answer {
			if alias, ok := rr.(*dns.CNAME); ok && strings.EqualFold(alias.Hdr.Name, name) {
				target = strings.ToLower(alias.Target)
			}
		}
		if target == "" {
			return name, nil
		}
		seen[name] = true
		if seen[target] {
			return "", fmt.Errorf("its CNAMEs go in circles")
		}
		if len(seen) > maxAliases {
			return "", fmt.Errorf("more than %d CNAMEs one after the other", maxAliases)
		}
		name = target
	}
}

// exchange asks the servers one after the other until one answers.
func (r *Resolver) exchange(ctx context.Context, q question) (*dns.Msg, error) {
	var why error
	for _, server := range r.Servers {
		if r.givenUp(server) {
			why = fmt.Errorf("resolver %s does not answer", server)
			continue
		}
		for range tries {
			msg, err := r.once(ctx, server, q)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			r.note(server, err)
			if err == nil {
				return msg, nil
			}
			why = fmt.Errorf("resolver %s: %w", server, err)
		}
	}
	if why == nil {
		why = errors.New("there is no resolver")
	}
	return nil, why
}

// once asks one server once: by UDP, and by TCP what does not fit.
func (r *Resolver) once(ctx context.Context, server string, q question) (*dns.Msg, error) {
	ask := new(dns.Msg)
	ask.SetQuestion(q.name, q.kind)
	ask.SetEdns0(udpSize, false)
	msg, err := r.send(ctx, "udp", server, ask)
	if err == nil && (msg.Rcode == dns.RcodeFormatError || msg.Rcode == dns.RcodeNotImplemented || msg.Rcode == dns.RcodeBadVers) {
		ask.Extra = nil // a server from before EDNS0
		msg, err = r.send(ctx, "udp", server, ask)
	}
	if err == nil && msg.Truncated {
		if msg, err = r.send(ctx, "tcp", server, ask); err == nil && msg.Truncated {
			err = errors.New("the answer is cut short")
		}
	}
	if err == nil && msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
		err = &refusal{msg.Rcode}
	}
	return msg, err
}

// refusal is an answer that says that there is none.
type refusal struct{ code int }

func (e *refusal) Error() string {
	if name := dns.RcodeToString[e.code]; name != "" {
		return name
	}
	return fmt.Sprintf("answer code %d", e.code)
}

// send sends one message from a port of its own. What comes back must be an answer to this very question (RFC 5452 9.1).
func (r *Resolver) send(ctx context.Context, network, server string, ask *dns.Msg) (*dns.Msg, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 3 * time.Second
	}
	ask.Id = dns.Id()
	client := dns.Client{Net: network, Timeout: timeout}
	msg, _, err := client.ExchangeContext(ctx, ask, server)
	if err != nil {
		return nil, err
	}
	if !msg.Response || msg.Opcode != dns.OpcodeQuery || len(msg.Question) != 1 ||
		!strings.EqualFold(msg.Question[0].Name, ask.Question[0].Name) || msg.Question[0].Qtype != ask.Question[0].Qtype {
		return nil, errors.New("the answer is to another question")
	}
	return msg, nil
}

func (r *Resolver) givenUp(server string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.silent[server] >= maxSilence*tries
}

// note counts how often in a row a server has not answered. A refusal is an answer.
func (r *Resolver) note(server string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var refused *refusal
	if err == nil || errors.As(err, &refused) {
		r.silent[server] = 0
		return
	}
	r.silent[server]++
}
