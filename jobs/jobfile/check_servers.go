package jobfile

import (
	"net"
	"slices"
	"strconv"
)

const defaultMySQLPort = 3306

func (c *checker) server(path string, s *Server) {
	m := c.main
	c.onePlace(path)
	if m.has(path + ".host") {
		c.host(path+".host", &s.Host)
	}
	if s.Port == 0 && !m.bad[path+".port"] && !m.written(path+".socket") {
		s.Port = defaultMySQLPort
	}
	for i := range s.Hosts {
		c.node(path+".hosts", i, s)
	}
	s.Socket = c.resolve(s.Socket)
	if m.written(path+".socket") && !m.written(path+".host") && !m.written(path+".hosts") {
		for _, key := range []string{".port", ".encryption", ".ca"} {
			if m.written(path + key) {
				m.wrong(path+key, "", "does not go with socket", "remove it; a socket never leaves this computer")
			}
		}
	}
	c.secret(m, path+".password", &s.Password)
	c.serverEncryption(path, s)
}

// onePlace reports a server without a place, or with two.
func (c *checker) onePlace(path string) {
	var given []string
	for _, key := range []string{"host", "hosts", "socket"} {
		if c.main.written(path + "." + key) {
			given = append(given, key)
		}
	}
	if len(given) == 0 {
		c.main.wrong(path, "", "has neither host, hosts nor socket", "for example host: db1")
		return
	}
	for _, key := range given[1:] {
		c.main.wrong(path+"."+key, "", "both "+given[0]+" and "+key, "keep one of them")
	}
}

// node checks one of the hosts and stores it with its port.
func (c *checker) node(path string, i int, s *Server) {
	at, written := indexed(path, i), s.Hosts[i]
	if !c.main.has(at) {
		return
	}
	host, port, err := parseHostPort(written, s.Port)
	if err != nil {
		c.main.bad[path] = true
		c.main.wrong(at, written, err.Error(), "a name such as db1, or an IP address; with a port of its own as db1:3307 or [::1]:3307")
		return
	}
	s.Hosts[i] = net.JoinHostPort(host, strconv.Itoa(port))
	if slices.Contains(s.Hosts[:i], s.Hosts[i]) {
		c.main.wrong(at, written, "is the same as one before it", "remove one of the two")
	}
}

// host checks a host and stores it in lower case.
func (c *checker) host(path string, host *string) {
	parsed, err := parseHost(*host)
	if err != nil {
		c.main.bad[path] = true
		c.main.wrong(path, *host, err.Error(), "a name such as smtp.acme.example, or an IP address")
		return
	}
	*host = parsed
}

func (c *checker) serverEncryption(path string, s *Server) {
	m := c.main
	local := s.Socket != "" || s.onLoopback()
	if !m.written(path + ".encryption") {
		s.Encryption = TLS
		if local {
			s.Encryption = None
		}
	}
	if s.Socket == "" {
		c.checkCA(path+".ca", s.Encryption, &s.CA)
	}
	if local || !m.has(path+".host") && !m.has(path+".hosts") {
		return
	}
	if s.Encryption == None {
		m.warn(path+".encryption", None, "mails and addresses cross the network in clear", "encryption: tls")
	}
	if !m.written(path + ".password") {
		m.warn(path, "", "no password for a server on another computer", "password: {file: PATH}")
	}
}

// onLoopback tells whether the server is on this computer and nowhere else.
func (s *Server) onLoopback() bool {
	if len(s.Hosts) == 0 {
		return isLoopback(s.Host)
	}
	return !slices.ContainsFunc(s.Hosts, func(address string) bool {
		host, _, err := net.SplitHostPort(address)
		return err != nil || !isLoopback(host)
	})
}

// Addresses name the server as it is on the network, so that two entries for one server are seen to be one: its socket, or
// host and port of each of its nodes.
func (s *Server) Addresses() []string {
	switch {
	case s.Socket != "":
		return []string{s.Socket}
	case len(s.Hosts) > 0:
		return s.Hosts
	}
	return []string{net.JoinHostPort(s.Host, strconv.Itoa(s.Port))}
}
