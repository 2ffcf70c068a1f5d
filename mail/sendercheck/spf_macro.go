package sendercheck

import (
	"context"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// longestName is the most octets of a name in the DNS, without the last dot (RFC 1035 2.3.4).
const longestName = 253

var macroForm = regexp.MustCompile(`%(?:\{([a-zA-Z])([0-9]*)([rR]?)([-.+,/_=]*)\}|[%_-])`)

// expand returns a domain-spec with its macros filled in (RFC 7208 7.3). ok is false when a macro stands for what is not known: the
// walk has no mail.
func (w *spfWalk) expand(ctx context.Context, spec, domain string) (name string, ok bool) {
	ok = true
	name = macroForm.ReplaceAllStringFunc(spec, func(macro string) string {
		switch macro {
		case "%%":
			return "%"
		case "%_":
			return " "
		case "%-":
			return "%20"
		}
		m := macroForm.FindStringSubmatch(macro)
		value, known := w.macro(ctx, strings.ToLower(m[1]), domain)
		ok = ok && known
		value = transformed(value, m[2], m[3] != "", m[4])
		if m[1] != strings.ToLower(m[1]) {
			value = url.QueryEscape(value)
		}
		return value
	})
	name = strings.ReplaceAll(strings.TrimSuffix(name, "."), `\`, `\\`)
	for len(name) > longestName && strings.Contains(name, ".") {
		_, name, _ = strings.Cut(name, ".")
	}
	return name, ok
}

func (w *spfWalk) macro(ctx context.Context, letter, domain string) (value string, known bool) {
	local, host, _ := strings.Cut(w.sender, "@")
	switch letter {
	case "d":
		return domain, true
	case "o":
		return host, true
	}
	if !w.ip.IsValid() {
		return "", false
	}
	switch letter {
	case "s":
		return w.sender, true
	case "l":
		return local, true
	case "h":
		return w.hello, true
	case "i":
		return dotted(w.ip), true
	case "v":
		if w.ip.Is4() {
			return "in-addr", true
		}
		return "ip6", true
	case "p":
		return w.validatedName(ctx, domain), true
	}
	return "", false
}

// dotted is an address as %{i} has it: an IPv6 one by its nibbles.
func dotted(at netip.Addr) string {
	if at.Is4() {
		return at.String()
	}
	var nibbles []string
	for _, b := range at.AsSlice() {
		nibbles = append(nibbles, strconv.FormatUint(uint64(b>>4), 16), strconv.FormatUint(uint64(b&15), 16))
	}
	return strings.Join(nibbles, ".")
}

// transformed splits a macro's value at the delimiters, turns the parts around and keeps the last ones.
func transformed(value, keep string, reverse bool, delimiters string) string {
	if delimiters == "" {
		delimiters = "."
	}
	parts := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(delimiters, r) })
	if !strings.ContainsAny(value, delimiters) {
		parts = []string{value}
	}
	if reverse {
		slices.Reverse(parts)
	}
	if n, err := strconv.Atoi(keep); err == nil && n < len(parts) {
		parts = parts[len(parts)-n:]
	}
	return strings.Join(parts, ".")
}

// validatedName is %{p}: a name of the address that leads back to it, best one below the domain.
func (w *spfWalk) validatedName(ctx context.Context, domain string) string {
	names, err := w.r.validated(ctx, w.ip)
	if err != nil || len(names) == 0 {
		return "unknown"
	}
	if slices.Contains(names, domain) {
		return domain
	}
	for _, name := range names {
		if below(name, domain) {
			return name
		}
	}
	return names[0]
}

// below tells whether a name is a domain or lies below it.
func below(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// validated returns the names of an address that lead back to it (RFC 7208 5.5). What cannot be asked about does not.
func (r *Resolver) validated(ctx context.Context, at netip.Addr) ([]string, error) {
	names, err := r.names(ctx, at)
	if err != nil {
		return nil, err
	}
	var valid []string
	for _, name := range names[:min(len(names), spfMostNames)] {
		if addresses, err := r.addresses(ctx, name); err == nil && slices.Contains(addresses, at) {
			valid = append(valid, name)
		}
	}
	return valid, nil
}
