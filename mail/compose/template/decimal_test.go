package template

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		in    string
		scale int
		want  string
	}{
		{"0.005", 2, "0.01"}, {"-0.005", 2, "-0.01"}, {"-0.004", 2, "0.00"}, {"2.675", 2, "2.68"}, {"1.005", 2, "1.01"}, {"9.995", 2, "10.00"}, {"0.5", 0, "1"},
		{"-0.5", 0, "-1"}, {"0.49", 0, "0"}, {"99999999999999999999.99", 1, "100000000000000000000.0"}, {"1e3", 1, "1000.0"}, {"15e-3", 2, "0.02"}, {"0", 2, "0.00"}, {"-0", 0, "0"}, {"0.05", 1, "0.1"}, {"0.04", 1, "0.0"}, {"0.5e-5", 2, "0.00"},
	} {
		d, ok := parseDecimal(c.in)
		if got := d.round(c.scale).String(); !ok || got != c.want {
			t.Errorf("%s to %d decimals: %s, not %s", c.in, c.scale, got, c.want)
		}
	}
	for _, bad := range []string{"", "-", ".", "1.2.3", "1e", "1e999", "0x1", "1_0", " 1", "+1", "--1", "1e+", "é", "1,5", "NaN", strings.Repeat("1", 501)} {
		if d, ok := parseDecimal(bad); ok {
			t.Errorf("%q is read as %s", bad, d)
		}
	}
}

// Against the standard library's exact arithmetic.
func TestDecimalAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() string {
		s := fmt.Sprintf("%d", r.Int64N(1<<uint(1+r.IntN(62))))
		if r.IntN(3) > 0 {
			s += "." + fmt.Sprintf("%0*d", 1+r.IntN(5), r.IntN(10))
		}
		if r.IntN(2) == 0 {
			s = "-" + s
		}
		return s
	}
	rat := func(s string) *big.Rat {
		n, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatal(s)
		}
		return n
	}
	for range 8_000 {
		x, y, scale := random(), random(), r.IntN(5)
		a, _ := parseDecimal(x)
		b, _ := parseDecimal(y)
		if got := a.add(b).String(); rat(got).Cmp(new(big.Rat).Add(rat(x), rat(y))) != 0 {
			t.Fatalf("%s + %s = %s", x, y, got)
		}
		if got := a.compare(b); got != rat(x).Cmp(rat(y)) {
			t.Fatalf("%s against %s: %d", x, y, got)
		}
		if got, want := a.round(scale).String(), strings.TrimPrefix(rat(x).FloatString(scale), "-"); strings.TrimPrefix(got, "-") != want { // it rounds the half away from zero too
			t.Fatalf("%s to %d decimals: %s, not %s", x, scale, got, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ format, n, want string }{
		{"%d", "12345678901234567890", "12345678901234567890"}, {"%d", "12.00", "12"}, {"%05d", "-42", "-0042"}, {"%-5d|", "42", "42   |"}, {"%+d", "4", "+4"}, {"%s", "0.10", "0.10"},
		{"%v", "0.10", "0.10"}, {"%.1f", "0.25", "0.3"}, {"%f", "1", "1.000000"}, {"%8.2f", "3.14159", "    3.14"}, {"%q", "1", `"1"`},
	} {
		if got, err := (&state{}).printf(c.format, Number(c.n)); err != nil || got != c.want {
			t.Errorf("%s of %s: %q, %v", c.format, c.n, got, err)
		}
	}
	for _, bad := range []string{"%d", "%x", "%t"} {
		if got, err := (&state{}).printf(bad, Number("1.5")); err == nil {
			t.Errorf("%s of 1.5: %q", bad, got)
		}
	}
	if got, err := (&state{}).printf("%d", "text"); err == nil {
		t.Errorf("%%d of a text: %q", got)
	}
	if _, err := (&state{}).printf("100%% of %s", "%!"); err != nil {
		t.Errorf("a text with %%!: %v", err)
	}
}
