"""What is done with runs that a host keeps: started, followed, viewed, served, reached."""
