use strict;
use warnings;
use HTTP::Tiny;
my $answer = HTTP::Tiny->new(timeout => 20, verify_SSL => 1)->get($ARGV[0]);
print $answer->{content}, "\n";
exit($answer->{success} ? 0 : 1);
