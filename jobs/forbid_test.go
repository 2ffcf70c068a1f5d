package jobs

import "testing"

func TestForbids(t *testing.T) {
	patterns := []string{".exe", ".tar.gz", "image/*", "application/x-msdownload"}
	for _, c := range []struct{ name, mediaType, want string }{
		{"invoice.pdf", "application/pdf", ""},
		{"Setup.EXE", "application/pdf", ".exe"},
		{"setup.exe. .", "", ".exe"},
		{"setup.exe.pdf", "", ""},
		{"exe", "", ""},
		{"all.tar.gz", "", ".tar.gz"},
		{"logo", "Image/PNG; name=x", "image/*"},
		{"logo", "imagery/png", ""},
		{"x", "application/x-msdownload", "application/x-msdownload"},
		{"x", "application/x-msdownload2", ""},
	} {
		if got := forbids(patterns, c.name, c.mediaType); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.name, c.mediaType, got, c.want)
		}
	}
}
