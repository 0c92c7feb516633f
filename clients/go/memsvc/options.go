package memsvc

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	// defaultTimeout is above the server's own 5 s for its database, and below a user's patience.
	defaultTimeout = 10 * time.Second
	// defaultContextTimeout is shorter: a user waits for the answer, which can be given without memory.
	defaultContextTimeout = 3 * time.Second
	// Replies end before 3 MiB and requests before 4; larger ones are for the server to refuse.
	maxMessageBytes = 16 << 20
	keepaliveTime   = time.Minute
	maxReconnect    = time.Second
)

// An Option says how a client connects, and how its calls go.
type Option func(*settings)

type settings struct {
	namespace       string
	token           *string
	timeout         time.Duration
	contextTimeout  time.Duration
	contextOrEmpty  bool
	failFast        bool
	tls             *tls.Config
	caFile          string
	certificateFile string
	keyFile         string
	dial            []grpc.DialOption
	closed          *atomic.Bool
}

func defaults() settings {
	return settings{timeout: defaultTimeout, contextTimeout: defaultContextTimeout, closed: new(atomic.Bool)}
}

// WithNamespace names the tenant or application. Without it: the only one of the token, else "default".
func WithNamespace(namespace string) Option {
	return func(s *settings) { s.namespace = namespace }
}

// WithToken is sent with every call. Without it: what MEMSVC_TOKEN holds; "" is none.
func WithToken(token string) Option {
	return func(s *settings) { s.token = &token }
}

// WithTimeout says how long a call lasts whose context has no deadline: 10 seconds by default.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout = timeout }
}

// WithContextTimeout says the same of User.Context: 3 seconds by default, for a user waits for it.
func WithContextTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.contextTimeout = timeout }
}

// WithContextOrEmpty lets User.Context answer an empty context, with its Failure, where the service, its database or the
// network is down: so an agent answers without its memory.
func WithContextOrEmpty() Option {
	return func(s *settings) { s.contextOrEmpty = true }
}

// FailFast lets a call give up after five attempts, some 1.5 seconds, where nobody answers, instead of looking for a server
// until its deadline.
func FailFast() Option {
	return func(s *settings) { s.failFast = true }
}

// WithTLS speaks TLS with a configuration of your own, in place of certificate files.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.tls = config }
}

// WithCAFile names the PEM file with who signs the server's certificate. Without it: MEMSVC_CA_FILE, else the system's.
func WithCAFile(path string) Option {
	return func(s *settings) { s.caFile = path }
}

// WithCertificateFiles are the client's own certificate and its key, PEM files, where the server asks for one. Without them:
// MEMSVC_CLIENT_CERTIFICATE_FILE and MEMSVC_CLIENT_KEY_FILE.
func WithCertificateFiles(certificate, key string) Option {
	return func(s *settings) { s.certificateFile, s.keyFile = certificate, key }
}

// WithDialOptions are given to gRPC as they are, behind the client's own: a stats handler for traces, for instance.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

func (s *settings) check() error {
	if s.timeout <= 0 || s.contextTimeout <= 0 {
		return wrong("timeout", "must be more than 0")
	}
	if s.token == nil {
		token := os.Getenv("MEMSVC_TOKEN")
		s.token = &token
	}
	for _, each := range *s.token {
		if each <= ' ' || each > '~' {
			return wrong("token", "must be printable ASCII: has it a line's end?")
		}
	}
	return nil
}

func (s *settings) dialOptions(address string, useTLS bool) ([]grpc.DialOption, error) {
	transport, err := s.credentials(useTLS)
	if err != nil {
		return nil, err
	}
	backoffs := backoff.Config{BaseDelay: firstDelay, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxReconnect}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoffs, MinConnectTimeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithChainUnaryInterceptor(s.retrying),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent("memsvc-go"),
	}
	if !strings.HasPrefix(address, "unix") {
		alive := keepalive.ClientParameters{Time: keepaliveTime, Timeout: 20 * time.Second}
		options = append(options, grpc.WithKeepaliveParams(alive))
	}
	if *s.token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(*s.token)))
	}
	return append(options, s.dial...), nil
}

func (s *settings) credentials(useTLS bool) (credentials.TransportCredentials, error) {
	if s.tls != nil {
		if s.caFile != "" || s.certificateFile != "" || s.keyFile != "" {
			return nil, wrong("tls", "holds the certificates: give it, or the files")
		}
		return credentials.NewTLS(s.tls.Clone()), nil
	}
	if !useTLS && s.caFile == "" && s.certificateFile == "" && s.keyFile == "" {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := given(s.caFile, "MEMSVC_CA_FILE"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, wrong("CA file", fmt.Sprintf("cannot be read: %v", err))
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, wrong("CA file", fmt.Sprintf("%s holds no certificate", path))
		}
	}
	certificate := given(s.certificateFile, "MEMSVC_CLIENT_CERTIFICATE_FILE")
	key := given(s.keyFile, "MEMSVC_CLIENT_KEY_FILE")
	if (certificate == "") != (key == "") {
		return nil, wrong("certificate files", "a certificate and its key go together: one of them is missing")
	}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, wrong("certificate files", err.Error())
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

func given(value, variable string) string {
	if value != "" {
		return value
	}
	return os.Getenv(variable)
}
