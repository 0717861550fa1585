// Command hello is the lab's stand-in for nginxdemos/hello: a server whose answers say which Pod gave them, in every
// protocol that a load balancer may have to carry. It is told by its environment where to listen:
//
//	POD_IPS      addresses, comma separated (default: all)
//	PORT         web server, default 80: HTTP/1.1 and h2c, websocket echo at /ws, gRPC (hello.Echo and grpc.health.v1)
//	TCP_PORT     TCP echo that greets first, default 7
//	UDP_PORT     UDP echo, default 7
//	POD_NAME     what it calls itself, default the host name
//	HELLO_FORMAT html (default) or text; a client that does not accept text/html gets text in any case
//
// /slow?for=2s answers late, /status/503 with that status, /headers shows the request, anything else says hello.
// On SIGTERM it stops listening and lets requests under way end (20 s at most).
package main
