package smtptest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDownUpClose(t *testing.T) {
	s := New(t)
	k := talk(t, s)
	k.hello()
	s.On(Rule{Step: StepNoop, Do: Silence()})
	k.send("NOOP\r\n")
	addr := s.Addr()
	s.Down()
	if _, err := k.r.ReadByte(); err == nil {
		t.Error("connection outlived Down")
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("listens after Down")
	}
	if err := errors.Join(s.Up(), s.Up()); err != nil || s.Addr() != addr {
		t.Error(err, s.Addr())
	}
	talk(t, s).hello()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if s.Up() == nil {
		t.Error("Up after Close")
	}
	if fmt.Sprintf("%s:%d", s.Host(), s.Port()) != addr {
		t.Error(s.Host(), s.Port())
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s := New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitMessages(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.WaitMessages(ctx, 0); err != nil {
		t.Error(err)
	}
}

func TestInMemoryWithinSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(t, InMemory(), WithoutMessages())
		s.On(Rule{Step: StepHello, Do: Silence()})
		nc, err := s.DialPipe(t.Context(), "tcp", "mx.example:25")
		if err != nil {
			t.Fatal(err)
		}
		k := &talker{t: t, nc: nc, r: bufio.NewReader(nc)}
		k.expect("220", "")
		k.send("EHLO x\r\n")
		_ = nc.SetReadDeadline(time.Now().Add(time.Hour))
		start := time.Now()
		if _, err := k.r.ReadByte(); err == nil || time.Since(start) != time.Hour {
			t.Error(err, time.Since(start))
		}
		_ = nc.Close()
		if err := s.Wait(t.Context(), func(c Counts) bool { return c.Open == 0 }); err != nil {
			t.Error(err)
		}
	})
}

func TestNullSinkKeepsNothing(t *testing.T) {
	s := New(t, NullSink())
	k := talk(t, s)
	k.hello()
	k.mail("a@b", "c@d")
	k.expect("250", sample+".")
	if s.Counts().Accepted != 1 || len(s.Messages())+len(s.Lines())+len(s.Ledger())+len(s.RecipientLedger())+len(s.DataTimes()) != 0 {
		t.Errorf("%+v", s.Counts())
	}
}

// BenchmarkNullSink is the server's own limit: a client that writes whole transactions at once.
func BenchmarkNullSink(b *testing.B) {
	s := New(b, NullSink())
	transaction := "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + "Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 78)+"\r\n", 50) + ".\r\n"
	b.RunParallel(func(pb *testing.PB) {
		nc, err := net.Dial("tcp", s.Addr())
		if err != nil {
			b.Error(err)
			return
		}
		defer nc.Close()
		r := bufio.NewReader(nc)
		if _, err := r.ReadString('\n'); err != nil {
			b.Error(err)
		}
		for pb.Next() {
			if _, err := io.WriteString(nc, transaction); err != nil {
				b.Error(err)
			}
			for range 4 {
				if _, err := r.ReadString('\n'); err != nil {
					b.Error(err)
				}
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
