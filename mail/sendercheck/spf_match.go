package sendercheck

import (
	"context"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// match tells whether a mechanism matches the walk's address (RFC 7208 5). Without an address nothing does.
func (w *spfWalk) match(ctx context.Context, f spfFrame, t spfTerm) (bool, error) {
	if t.network.IsValid() {
		if !w.ip.IsValid() && f.vouched && t.qualifier == '+' {
			w.networks = append(w.networks, t.network)
		}
		return t.network.Contains(w.ip), nil
	}
	target, known, err := w.target(ctx, f, t)
	if err != nil {
		return false, err
	}
	if !known {
		if t.name == spfInclude {
			w.vouch(f.vouched && t.qualifier == '+', t.domain)
		}
		return false, nil
	}
	switch t.name {
	case spfInclude:
		return w.include(ctx, f, t, target)
	case "a":
		return w.matchHost(ctx, t, target, true)
	case "mx":
		return w.matchMX(ctx, t, target)
	case "exists":
		found, err := w.r.ask(ctx, target, dns.TypeA)
		if err == nil {
			err = w.void(t, len(found.records))
		}
		return err == nil && len(found.records) > 0 && w.ip.IsValid(), err
	}
	return w.matchName(ctx, t, target)
}

// include matches when the other record passes (RFC 7208 5.2).
func (w *spfWalk) include(ctx context.Context, f spfFrame, t spfTerm, target string) (bool, error) {
	inner := spfFrame{domain: target, vouched: f.vouched && t.qualifier == '+'}
	w.vouch(inner.vouched, target)
	result, err := w.record(ctx, inner)
	if err == nil && result == spfNone {
		err = errNoSPF
	}
	return result == spfPass && w.ip.IsValid(), err
}

// void counts a lookup that found nothing.
func (w *spfWalk) void(t spfTerm, found int) error {
	if found > 0 {
		return nil
	}
	w.voids++
	w.empty = append(w.empty, t.text)
	if w.ip.IsValid() && w.voids > spfMostVoids {
		return errVoids
	}
	return nil
}

// matchHost compares the address with those of a host.
func (w *spfWalk) matchHost(ctx context.Context, t spfTerm, host string, counts bool) (bool, error) {
	var addresses []netip.Addr
	var err error
	switch {
	case !w.ip.IsValid():
		addresses, err = w.r.addresses(ctx, host)
	case w.ip.Is4():
		addresses, err = w.r.addressesOf(ctx, host, dns.TypeA)
	default:
		addresses, err = w.r.addressesOf(ctx, host, dns.TypeAAAA)
	}
	if err == nil && counts {
		err = w.void(t, len(addresses))
	}
	if err != nil {
		return false, err
	}
	return w.ip.IsValid() && slices.ContainsFunc(addresses, func(at netip.Addr) bool {
		bits := t.bits6
		if at.Is4() {
			bits = t.bits4
		}
		network, err := at.Prefix(bits)
		return err == nil && network.Contains(w.ip)
	}), nil
}

func (w *spfWalk) matchMX(ctx context.Context, t spfTerm, domain string) (bool, error) {
	all, err := w.r.exchangers(ctx, domain)
	if err == nil {
		err = w.void(t, len(all))
	}
	if err == nil && len(all) > spfMostNames {
		err = errManyMX
	}
	if err != nil || !w.ip.IsValid() {
		return false, err
	}
	for _, mx := range all {
		if matched, err := w.matchHost(ctx, t, mx.host, false); matched || err != nil {
			return matched, err
		}
	}
	return false, nil
}

// matchName is ptr: a name of the address that leads back to it and lies in the domain. What cannot be asked does not match.
func (w *spfWalk) matchName(ctx context.Context, t spfTerm, domain string) (bool, error) {
	if !w.ip.IsValid() {
		return false, nil
	}
	names, err := w.r.names(ctx, w.ip)
	if err != nil {
		return false, nil
	}
	if err := w.void(t, len(names)); err != nil {
		return false, err
	}
	valid, err := w.r.validated(ctx, w.ip)
	return err == nil && slices.ContainsFunc(valid, func(name string) bool { return below(name, domain) }), nil
}
