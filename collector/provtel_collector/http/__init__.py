"""HTTP servers of components: sockets from endpoints, and a server in a thread of its own."""
