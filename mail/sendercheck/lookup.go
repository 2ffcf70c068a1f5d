package sendercheck

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// texts returns the TXT records of a name, each in one piece.
func (r *Resolver) texts(ctx context.Context, name string) ([]string, error) {
	found, err := r.ask(ctx, name, dns.TypeTXT)
	var all []string
	for _, rr := range found.records {
		if txt, ok := rr.(*dns.TXT); ok {
			all = append(all, unescaped(strings.Join(txt.Txt, "")))
		}
	}
	return all, err
}

// unescaped undoes the escapes that the library puts into strings (RFC 1035 5.1).
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i+2 < len(s) && isDigit(s[i]) && isDigit(s[i+1]) && isDigit(s[i+2]) {
			b.WriteByte((s[i]-'0')*100 + (s[i+1]-'0')*10 + s[i+2] - '0')
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// exchanger is a host that takes a domain's mail.
type exchanger struct {
	preference uint16
	host       string // without the last dot; "" in a null MX (RFC 7505)
}

// exchangers returns a domain's MX records, the preferred ones first.
func (r *Resolver) exchangers(ctx context.Context, domain string) ([]exchanger, error) {
	found, err := r.ask(ctx, domain, dns.TypeMX)
	var all []exchanger
	for _, rr := range found.records {
		if mx, ok := rr.(*dns.MX); ok {
			all = append(all, exchanger{mx.Preference, strings.TrimSuffix(strings.ToLower(mx.Mx), ".")})
		}
	}
	slices.SortStableFunc(all, func(a, b exchanger) int { return int(a.preference) - int(b.preference) })
	return all, err
}

// addresses returns the addresses of a host of both kinds.
func (r *Resolver) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	all, err := r.addressesOf(ctx, host, dns.TypeA)
	if err != nil {
		return nil, err
	}
	more, err := r.addressesOf(ctx, host, dns.TypeAAAA)
	return append(all, more...), err
}

func (r *Resolver) addressesOf(ctx context.Context, host string, kind uint16) ([]netip.Addr, error) {
	found, err := r.ask(ctx, host, kind)
	var all []netip.Addr
	for _, rr := range found.records {
		var ip []byte
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if at, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, at.Unmap())
		}
	}
	return all, err
}

// names returns the names that an address has in the reverse DNS.
func (r *Resolver) names(ctx context.Context, at netip.Addr) ([]string, error) {
	reverse, err := dns.ReverseAddr(at.String())
	if err != nil {
		return nil, err
	}
	found, err := r.ask(ctx, reverse, dns.TypePTR)
	var all []string
	for _, rr := range found.records {
		if ptr, ok := rr.(*dns.PTR); ok {
			all = append(all, strings.TrimSuffix(strings.ToLower(ptr.Ptr), "."))
		}
	}
	return all, err
}
