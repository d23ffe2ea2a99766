"""What the kernel is told and asked over netlink(7): elements of nftables, and connections that it tracks."""
