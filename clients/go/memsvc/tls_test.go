package memsvc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/memsvc/memsvc/clients/go/memsvc"
)

func TestAServerThatAsksForCertificatesIsShownOne(t *testing.T) {
	connected(t)
	folder := t.TempDir()
	authority := newAuthority(t, folder)
	serverCertificate, serverKey := authority.issue(t, "server")
	certificate, key := authority.issue(t, "client")
	stop, err := startSidecar(folder, "--listen", "127.0.0.1:0", "--tls-certificate-file", serverCertificate,
		"--tls-key-file", serverKey, "--tls-client-ca-file", authority.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error("memsvc serve ended badly:", err)
		}
	})
	ready, err := os.ReadFile(filepath.Join(folder, "ready"))
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimSpace(string(ready))
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	own := &tls.Config{RootCAs: authority.pool, Certificates: []tls.Certificate{pair}}
	for name, options := range map[string][]memsvc.Option{
		"by files":  {memsvc.WithCAFile(authority.file), memsvc.WithCertificateFiles(certificate, key)},
		"of no one": {memsvc.WithCAFile(authority.file), memsvc.FailFast()},
		"by tls":    {memsvc.WithTLS(own)},
	} {
		client, err := memsvc.New("tls://"+target, append(options, memsvc.WithTimeout(time.Minute))...)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_, err = client.User("sarah").Memories.Add(t.Context(), &memsvc.Memory{Text: "Skis"}, nil)
		var failure *memsvc.Error
		if refused := errors.As(err, &failure) && failure.Code == codes.Unavailable; refused != (name == "of no one") {
			t.Errorf("a certificate %s: %v", name, err)
		}
	}
}

// authority signs certificates, in files of a folder.
type authority struct {
	folder, file string
	certificate  *x509.Certificate
	key          *ecdsa.PrivateKey
	pool         *x509.CertPool
}

func newAuthority(t *testing.T, folder string) *authority {
	a := &authority{folder: folder, pool: x509.NewCertPool()}
	a.certificate = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	a.file, _ = a.write(t, "authority", a.certificate)
	a.pool.AddCert(a.certificate)
	return a
}

// issue returns the files of a certificate and its key.
func (a *authority) issue(t *testing.T, name string) (certificate, key string) {
	return a.write(t, name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	})
}

func (a *authority) write(t *testing.T, name string, wanted *x509.Certificate) (certificate, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.key == nil {
		a.key = own
	}
	signed, err := x509.CreateCertificate(rand.Reader, wanted, a.certificate, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate == wanted {
		if a.certificate, err = x509.ParseCertificate(signed); err != nil {
			t.Fatal(err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(a.folder, name+".pem"), filepath.Join(a.folder, name+".key")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
