package smtpout

import (
	"bufio"
	"net"
	"runtime"
	"strings"
	"testing"
)

// A message of 20 MB is copied nowhere on its way to the wire.
func TestLargeMessageIsNotCopied(t *testing.T) {
	message := bigMessage(20 << 20)
	host, port := discardingServer(t)
	s := open(t, Config{Host: host, Port: port, Encryption: None, Hello: "client.example.org"})
	d := delivery()
	wantAccepted(t, s.Send(t.Context(), d)) // buffers that stay are made now
	d.Message = message
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := s.Send(t.Context(), d)
	runtime.ReadMemStats(&after)
	wantAccepted(t, r)
	copied := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(message))
	t.Logf("%d octets sent, %.2f times as many allocated", len(message), copied)
	if copied > 0.02 {
		t.Errorf("%.2f of the message was allocated", copied)
	}
}

// discardingServer takes mails one after the other and keeps nothing of them.
func discardingServer(t *testing.T) (host string, port int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		say := func(line string) { _, _ = conn.Write([]byte(line + "\r\n")) }
		say("220 ready")
		lines := bufio.NewScanner(conn)
		for inContent := false; lines.Scan(); {
			switch line := lines.Bytes(); {
			case inContent && string(line) != ".":
			case !inContent && strings.EqualFold(string(line), "DATA"):
				inContent = true
				say("354 go")
			default:
				inContent = false
				say("250 ok")
			}
		}
	}()
	address := listener.Addr().(*net.TCPAddr)
	return address.IP.String(), address.Port
}
