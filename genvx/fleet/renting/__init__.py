"""Machines that are rented: started, waited for, set up, stopped and ended."""
