"""Values and decisions. Nothing here touches a file, a clock, a driver, a process or a socket."""
