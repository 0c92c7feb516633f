package memsvc

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
)

const (
	tlsScheme          = "tls://"
	targetForms        = `"unix:///run/memsvc/memsvc.sock" or "127.0.0.1:7432"`
	maxSocketPathBytes = 107
)

// checkedTarget returns the address as gRPC has it, and whether it speaks TLS. What is refused is never shown: it may be a
// database's URL, with a password.
func checkedTarget(target string) (address string, useTLS bool, err error) {
	unprintable := func(each rune) bool { return !unicode.IsPrint(each) || each == ' ' }
	switch {
	case target == "":
		return "", false, wrong("target", "is empty: write "+targetForms)
	case strings.ContainsFunc(target, unprintable):
		return "", false, wrong("target", "holds spaces or what cannot be printed: write "+targetForms)
	case strings.HasPrefix(target, tlsScheme):
		address = strings.TrimPrefix(target, tlsScheme)
		return address, true, checkHostAndPort(address)
	case strings.HasPrefix(target, "unix:"), strings.HasPrefix(target, "unix-abstract:"):
		return target, false, checkSocket(target)
	case hasResolver(target):
		return target, false, nil
	case strings.Contains(target, "://"):
		return "", false, otherScheme(target)
	case strings.HasPrefix(target, "/"), strings.HasPrefix(target, "."), strings.HasPrefix(target, "~"),
		strings.HasSuffix(target, ".sock"), strings.HasSuffix(target, ".db"):
		return "", false, wrong("target", `is a path: for a socket write "unix://" and its absolute path, as `+targetForms)
	}
	return target, false, checkHostAndPort(target)
}

func hasResolver(target string) bool {
	for _, scheme := range []string{"dns:", "ipv4:", "ipv6:", "xds:", "passthrough:"} {
		if strings.HasPrefix(target, scheme) {
			return true
		}
	}
	return false
}

func checkSocket(target string) error {
	scheme, path, _ := strings.Cut(target, ":")
	if scheme == "unix" && strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///") {
		return wrong("target", `names a host before its path: "unix:///absolute/path" has three slashes`)
	}
	path = strings.TrimPrefix(path, "//")
	if strings.Trim(path, "/") == "" {
		return wrong("target", "names no socket: write "+targetForms)
	}
	if len(path) > maxSocketPathBytes {
		return wrong("target", fmt.Sprintf("a socket's path has at most %d bytes; this one is longer", maxSocketPathBytes))
	}
	return nil
}

func otherScheme(target string) error {
	scheme, _, _ := strings.Cut(strings.ToLower(target), "://")
	switch scheme {
	case "sqlite", "postgres", "postgresql", "redis", "rediss", "mongodb", "mongodb+srv", "memory":
		return wrong("target", "is a database, and a client speaks to a server: start `memsvc serve` on it and write the "+
			"server's address, "+targetForms)
	case "https", "grpcs":
		return wrong("target", `is no URL: write "tls://host:port" for TLS`)
	case "http", "grpc", "tcp":
		return wrong("target", `is no URL: write "host:port"`)
	}
	return wrong("target", "has a scheme that is not known: write "+targetForms)
}

func checkHostAndPort(target string) error {
	if strings.Contains(target, "@") {
		return wrong("target", "holds a user or password: write host:port, and give the token by WithToken")
	}
	if strings.Contains(target, "/") {
		return wrong("target", "has a path: write host:port alone; "+targetForms)
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return wrong("target", `must be host:port, with an IPv6 address in brackets ("[::1]:7432")`)
	}
	if host == "" {
		return wrong("target", `names no host: write "127.0.0.1:`+port+`"`)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return wrong("target", "the port must be a number from 1 to 65535; "+targetForms)
	}
	return nil
}

// bearer is a token that goes with every call: over plain text too, where whoever is on the way can read it.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool { return false }
