package template_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/compose/template"
)

// pageOf20KB is an invoice as designers make them: 20 KB of tables with inline styles, in which 25 lines, totals and greetings are filled in.
func pageOf20KB() string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html><head><title>Invoice {{.number}}</title></head><body style="margin:0;background:#f3f5f7">`)
	b.WriteString(`<p>Dear {{.customer.name}},</p><p>{{plural (len .items) "one" "%d item" "other" "%d items"}}, due {{date .due "long"}}.</p><table>`)
	b.WriteString(`{{range .items}}<tr><td style="padding:8px">{{.name}}</td><td>{{number .quantity}}</td><td>{{money .price $.currency}}</td><td>{{money .amount $.currency}}</td></tr>{{end}}`)
	b.WriteString(`</table><p>{{money .total .currency}} with {{percent .vat}}</p>{{if .note}}<p>{{.note}}</p>{{end}}`)
	for i := 0; b.Len() < 20<<10; i++ {
		fmt.Fprintf(&b, `<table role="presentation" cellpadding="0" cellspacing="0" border="0" width="100%%" style="border-collapse:collapse;margin:0 0 12px 0"><tr>`+
			`<td align="left" valign="top" style="font-family:Helvetica,Arial,sans-serif;font-size:14px;line-height:20px;color:#333333;padding:8px 10px">`+
			`Paragraph %d of our terms: goods remain ours until they are paid for, and what is late costs interest as the law has it. `+
			`<a href="https://acme.example/terms#%d" style="color:#0b5fa5;text-decoration:underline">More</a></td></tr></table>`+"\n", i, i)
	}
	b.WriteString(`</body></html>`)
	return b.String()
}

func params(i int) string {
	var items []string
	for n := range 25 {
		items = append(items, fmt.Sprintf(`{"name": "Item %d-%d & more", "quantity": %d, "price": %d.90, "amount": %d.45}`, i, n, n+1, n+i, n*i))
	}
	return fmt.Sprintf(`{"number": "2026-%05d", "customer": {"name": "Customer <%d>"}, "items": [%s], "due": "2026-12-%02d", "total": %d.10, "currency": "EUR", "vat": 0.23, "note": "n%d"}`,
		i, i, strings.Join(items, ","), i%28+1, i*100, i)
}

// BenchmarkRender makes different mails of a 20 KB HTML template: rendered alone, and up to the octets that go out, with a text part made
// from the HTML. Run it with GOMAXPROCS=1 for the figures of one core.
func BenchmarkRender(b *testing.B) {
	set := load(b, files("x/subject.txt", "Invoice {{.number}}", "x/body.html", pageOf20KB()), "en")
	x, err := set.Template("x")
	if err != nil {
		b.Fatal(err)
	}
	all := make([]string, 10_000)
	for i := range all {
		all[i] = params(i)
	}
	b.Run("rendered", func(b *testing.B) {
		benchmarkMails(b, x, all, func(r template.Rendered) (int, error) { return len(r.HTML), nil })
	})
	b.Run("composed", func(b *testing.B) {
		benchmarkMails(b, x, all, func(r template.Rendered) (int, error) {
			raw, err := compose.Build(compose.Message{
				From: mail.Address{Local: "shop", Host: "acme.example"}, To: []mail.Address{{Local: "ann", Host: "example.org"}},
				Subject: r.Subject, HTML: r.HTML, MessageID: "<1@acme.example>", Date: time.Unix(1795305600, 0),
			})
			return len(raw), err
		})
	})
}

// benchmarkMails renders mail after mail and does with each what finish does, which returns its octets.
func benchmarkMails(b *testing.B, x *template.Template, all []string, finish func(template.Rendered) (int, error)) {
	b.ReportAllocs()
	i, size := 0, 0
	for b.Loop() {
		r, err := x.Render(context.Background(), template.Request{Params: all[i%len(all)]})
		if err != nil {
			b.Fatal(err)
		}
		if size, err = finish(r); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.SetBytes(int64(size))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
