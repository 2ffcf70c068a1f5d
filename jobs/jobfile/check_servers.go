package jobfile

import "fmt"

const defaultMySQLPort = 3306

func (c *checker) server(path string, s *Server) {
	m := c.main
	host, socket := path+".host", path+".socket"
	switch {
	case m.written(host) && m.written(socket):
		m.wrong(socket, s.Socket, "both host and socket", "keep one of them")
	case !m.written(host) && !m.written(socket):
		m.wrong(path, "", "has neither host nor socket", "for example host: db1")
	}
	if m.has(host) {
		c.host(host, &s.Host)
	}
	s.Socket = c.resolve(s.Socket)
	if m.written(socket) {
		for _, key := range []string{".port", ".encryption", ".ca"} {
			if m.written(path+key) && !m.written(host) {
				m.wrong(path+key, "", "does not go with socket", "remove it; a socket never leaves this computer")
			}
		}
	}
	c.secret(m, path+".password", &s.Password)
	c.serverEncryption(path, s)
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
	if s.Port == 0 && s.Socket == "" {
		s.Port = defaultMySQLPort
	}
	local := s.Socket != "" || isLoopback(s.Host)
	if !m.written(path + ".encryption") {
		s.Encryption = TLS
		if local {
			s.Encryption = None
		}
	}
	if s.Socket == "" {
		c.checkCA(path+".ca", s.Encryption, &s.CA)
	}
	if local || !m.has(path+".host") {
		return
	}
	if s.Encryption == None {
		m.warn(path+".encryption", None, "mails and addresses cross the network in clear", "encryption: tls")
	}
	if !m.written(path + ".password") {
		m.warn(path, "", "no password for a server on another computer", "password: {file: PATH}")
	}
}

// address names the server as it is on the network, so that two entries for one server are seen to be one.
func (s *Server) address() string {
	if s.Socket != "" {
		return s.Socket
	}
	return fmt.Sprintf("%s:%d", s.Host, s.Port)
}
