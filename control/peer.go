package control

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
)

type actorKey struct{}

// unknownActor is whom the kernel does not tell.
const unknownActor = "unknown"

// withActor notes who is at the other end of a new connection.
func withActor(ctx context.Context, c net.Conn) context.Context {
	if p, ok := c.(*placed); ok {
		c = p.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	uid, err := peerUID(u)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, actorKey{}, actorName(uid))
}

func actorOf(ctx context.Context) string {
	if name, ok := ctx.Value(actorKey{}).(string); ok {
		return name
	}
	return unknownActor
}

// actorName is how a user stands in the audit: name(uid), or unknown(uid) where the computer has no name for the number.
func actorName(uid int) string {
	name := unknownActor
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		name = u.Username
	}
	return fmt.Sprintf("%s(%d)", name, uid)
}

// Self is how the user of this process stands in the audit when it works without a daemon.
func Self() string {
	if uid := os.Getuid(); uid >= 0 {
		return actorName(uid)
	}
	if u, err := user.Current(); err == nil { // Windows has no numbers
		return u.Username
	}
	return unknownActor
}
