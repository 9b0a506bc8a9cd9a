// Calls /echo.Echo/Say with bytes; the answer is printed as it is.
const grpc = require('@grpc/grpc-js');
const bytes = (value) => value;
const client = new grpc.Client(process.argv[2], grpc.credentials.createSsl());
client.makeUnaryRequest('/echo.Echo/Say', bytes, bytes, Buffer.from('hello'), { deadline: Date.now() + 20000 }, (error, answer) => {
  console.log(error ? error.message : String(answer));
  client.close();
  process.exitCode = error ? 1 : 0;
});
